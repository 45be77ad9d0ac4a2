/* picolibc's sources include this file for their configuration; empty, as the defaults of their headers apply. */

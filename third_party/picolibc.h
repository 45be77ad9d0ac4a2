/* What picolibc's sources include to learn how they are configured: with the defaults of their headers. */

#include "csr_names.h"

#include <stdint.h>

/* No pointers to the names: the image is position-independent, and these would be absolute addresses. */
static const struct {
    uint16_t number;
    char name[14];
} csr_names[] = {
#include "gcpt_csr_names.inc"
};

const char *gcpt_csr_name(unsigned number)
{
    for (unsigned i = 0; i < sizeof csr_names / sizeof csr_names[0]; i++)
        if (csr_names[i].number == number)
            return csr_names[i].name;
    return "";
}

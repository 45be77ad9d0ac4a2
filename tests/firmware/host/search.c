/*
 * The restorer's search for a checkpoint, run on images from standard input.
 *
 * All numbers are 64 bits, in the host's byte order. A case is the first address after the restorer, the number of
 * pieces and, for each piece, its address, its size in bytes and its bytes. The answer is the code with which the run
 * would end, 0 if it goes on, and struct gcpt_plan.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "plan.h"

#define IMAGE_SIZE (GCPT_MULTI_CORE_OFFSET + (GCPT_MAX_HARTS + 1) * (size_t)GCPT_BLOCK_SIZE)
#define CLINT_SIZE 0x10000

uint64_t gcpt_sleepers[2];
static jmp_buf end_of_run;

void gcpt_make_plan(uint64_t hart, uint64_t image, uint64_t image_end);

_Noreturn void gcpt_fail(int code)
{
    longjmp(end_of_run, code);
}

/* Map `size` bytes of zeros at `address`, over what an earlier case left there. */
static void map_zeros(uint64_t address, size_t size)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (mmap((void *)address, size, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
}

static void read_exactly(void *bytes, size_t size)
{
    if (fread(bytes, 1, size, stdin) != size) {
        fputs("a case is cut short\n", stderr);
        exit(1);
    }
}

static uint64_t read_number(void)
{
    uint64_t number;
    read_exactly(&number, sizeof number);
    return number;
}

static uint64_t search(uint64_t image_end)
{
    int code = setjmp(end_of_run);
    if (code == 0)
        gcpt_make_plan(0, GCPT_DRAM, image_end);
    return code;
}

int main(void)
{
    uint64_t image_end;
    while (fread(&image_end, sizeof image_end, 1, stdin) == 1) {
        map_zeros(GCPT_DRAM, IMAGE_SIZE);
        map_zeros(GCPT_CLINT, CLINT_SIZE);
        for (uint64_t pieces = read_number(); pieces; pieces--) {
            uint64_t address = read_number();
            uint64_t size = read_number();
            read_exactly((void *)address, size);
        }
        uint64_t code = search(image_end);
        fwrite(&code, sizeof code, 1, stdout);
        fwrite(&gcpt_the_plan, sizeof gcpt_the_plan, 1, stdout);
        fflush(stdout);
    }
    return 0;
}

/*
 * A kernel for S mode: a Linux Image whose boot loader must give it its hart in a0 and a device tree in a1, with a
 * command line, an initramfs and reserved memory. It prints what it found, computes over the initramfs, then over
 * registers, prints the result and powers off.
 */
#define ROUNDS 60
#define STEPS 200000

typedef unsigned long word;
typedef const unsigned char *bytes;

__asm__(".pushsection .head, \"ax\"\n"
        ".globl _start\n"
        "_start: j      1f\n"
        "        .balign 8\n"
        "        .dword 0x200000, image_end - _start, 0, 2, 0\n"
        "        .ascii \"RISCV\\0\\0\\0RSC\\5\"\n"
        "        .word  0\n"
        "1:      la     sp, image_end\n"
        "        call   run\n"
        ".bss\n"
        ".balign 16\n"
        ".skip 4096\n"
        "image_end:\n"
        ".popsection\n");

static void call(word function, word argument)
{
    register word a0 __asm__("a0") = argument;
    register word a7 __asm__("a7") = function;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7) : "memory", "a1");
}

static void print(const char *text)
{
    while (*text)
        call(1, (word)*text++);
}

static void print_number(word value)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        call(1, (word)("0123456789abcdef"[value >> shift & 15]));
}

static word big(bytes at, int size)
{
    word value = 0;
    while (size--)
        value = value << 8 | *at++;
    return value;
}

static int equal(const char *one, const char *other)
{
    while (*one && *one == *other)
        one++, other++;
    return *one == *other;
}

struct boot {
    const char *arguments;
    word begin, end, reserved, size;
};

/* Read the properties of a device tree; each name is unique but reg, which is that of the restorer's memory. */
static struct boot parse(bytes tree)
{
    struct boot boot = { "", 0, 0, 0, 0 };
    bytes at = tree + big(tree + 8, 4);
    const char *strings = (const char *)tree + big(tree + 12, 4);
    int inside = 0;

    for (;;) {
        word token = big(at, 4);
        at += 4;
        if (token == 1) {
            inside = equal((const char *)at, "gcpt@80000000");
            while (*at++)
                ;
            at = (bytes)(((word)at + 3) & ~3UL);
        } else if (token == 3) {
            word size = big(at, 4);
            const char *name = strings + big(at + 4, 4);
            at += 8;
            if (equal(name, "bootargs"))
                boot.arguments = (const char *)at;
            if (equal(name, "linux,initrd-start"))
                boot.begin = big(at, (int)size);
            if (equal(name, "linux,initrd-end"))
                boot.end = big(at, (int)size);
            if (inside && equal(name, "reg")) {
                boot.reserved = big(at, 8);
                boot.size = big(at + 8, 8);
            }
            at += (size + 3) & ~3UL;
        } else if (token == 9) {
            return boot;
        }
    }
}

void run(word hart, bytes tree)
{
    struct boot boot = parse(tree);
    word sum = 0xcbf29ce484222325;

    print("kernel: hart ");
    print_number(hart);
    print(", reserved ");
    print_number(boot.reserved);
    print(" ");
    print_number(boot.size);
    print(", arguments ");
    print(boot.arguments);
    print("\n");
    for (int round = 0; round < ROUNDS; round++)
        for (bytes at = (bytes)boot.begin; at < (bytes)boot.end; at++)
            sum = (sum ^ *at) * 0x100000001b3;
    for (int step = 0; step < STEPS; step++) {
        sum ^= sum << 13;
        sum ^= sum >> 7;
        sum ^= sum << 17;
    }
    print("kernel: result ");
    print_number(sum);
    print("\n");
    call(8, 0);
}

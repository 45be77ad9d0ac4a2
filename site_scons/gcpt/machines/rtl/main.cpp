// Runs Rocket until each hart is at its first restored instruction.
//
// Usage: rocket IMAGE BYTES LATENCY TOHOST HART:PC:MODE...   (numbers as in C)
// IMAGE: a raw image, an ELF file, or text for $readmemh (*.hex) with 64-bit words. Memory that it does not fill holds
// random values. The registers go to standard output, the console to standard error.
// Exit status: 0 all harts arrived, 2 bad usage, 3 the guest ended the run.

#include <elf.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "Vharness.h"
#include "Vharness__Dpi.h"
#include "verilated.h"

namespace {

constexpr uint64_t BASE = 0x80000000;
constexpr int RESET_CYCLES = 100;
// Rocket's boot ROM jumps to here: li t0, 1; slli t0, t0, 31; jr t0
constexpr uint64_t ROM = 0x10000000;
constexpr uint64_t ROM_CODE[] = {0x01f2929300100293, 0x28067};

struct Hart {
    uint64_t pc = 0;
    int mode = -1;  // no mode of a hart: one that is not waited for never arrives
    bool arrived = false;
};

uint8_t* memory;
uint64_t memory_size, latency, tohost;
std::map<int, Hart> harts;
size_t missing;
bool ended;

[[noreturn]] void fail(const std::string& message) {
    std::fprintf(stderr, "rocket: %s\n", message.c_str());
    std::exit(2);
}

std::vector<uint8_t> read_file(const char* name) {
    FILE* file = std::fopen(name, "rb");
    if (!file) fail(std::string(name) + ": cannot be read");
    std::fseek(file, 0, SEEK_END);
    std::vector<uint8_t> data(static_cast<size_t>(std::ftell(file)));
    std::rewind(file);
    if (std::fread(data.data(), 1, data.size(), file) != data.size()) fail(std::string(name) + ": cannot be read");
    std::fclose(file);
    return data;
}

void place(uint64_t offset, const uint8_t* data, uint64_t size) {
    if (offset > memory_size || size > memory_size - offset) fail("the image is larger than the memory");
    std::memcpy(memory + offset, data, size);
}

void load(const std::string& name) {
    if (name.size() > 4 && name.compare(name.size() - 4, 4, ".hex") == 0) {
        // Verilator's own $readmemh: all harnesses load hex through it.
        VL_READMEM_N(true, 64, memory_size / 8, 0, name, memory, 0, memory_size / 8 - 1);
        return;
    }
    const std::vector<uint8_t> data = read_file(name.c_str());
    if (data.size() < sizeof(Elf64_Ehdr) || std::memcmp(data.data(), ELFMAG, SELFMAG) != 0) {
        place(0, data.data(), data.size());
        return;
    }
    Elf64_Ehdr header;
    std::memcpy(&header, data.data(), sizeof header);
    for (int i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        std::memcpy(&segment, data.data() + header.e_phoff + i * sizeof segment, sizeof segment);
        if (segment.p_type == PT_LOAD) place(segment.p_paddr - BASE, data.data() + segment.p_offset, segment.p_filesz);
    }
}

void allocate(uint64_t size) {
    void* mapped = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) fail("no memory of this size");
    memory = static_cast<uint8_t*>(mapped);
    memory_size = size;
    std::mt19937_64 random(static_cast<uint64_t>(Verilated::threadContextp()->randSeed()));
    for (uint64_t i = 0; i < size; i += 8) {
        const uint64_t word = random();
        std::memcpy(memory + i, &word, 8);
    }
}

}  // namespace

int memory_present(unsigned long long address) {
    return address - BASE < memory_size || address - ROM < sizeof ROM_CODE;
}

unsigned long long memory_read(unsigned long long address) {
    uint64_t word = 0;
    if (address - ROM < sizeof ROM_CODE) return ROM_CODE[(address - ROM) / 8];
    if (address - BASE < memory_size) std::memcpy(&word, memory + (address - BASE), 8);
    return word;
}

void memory_write(unsigned long long address, unsigned long long data, unsigned char strobe) {
    if (address - BASE >= memory_size) return;
    for (int i = 0; i < 8; i++)
        if (strobe >> i & 1) memory[address - BASE + i] = static_cast<uint8_t>(data >> (8 * i));
}

int memory_latency() { return static_cast<int>(latency); }

unsigned long long hart_pc(int hart) { return harts[hart].pc; }

int hart_mode(int hart) { return harts[hart].mode; }

void hart_arrived(int hart) {
    if (!harts[hart].arrived) missing--;
    harts[hart].arrived = true;
}

unsigned long long tohost_address() { return tohost; }

void tohost_written(unsigned long long value) {
    // HTIF: device 1 with command 1 is the console, an odd value of device 0 the end.
    if (value >> 48 == 0x0101)
        std::fputc(static_cast<int>(value & 0xff), stderr);
    else if (value & 1)
        ended = true;
}

int main(int argc, char** argv) {
    const auto context = std::make_unique<VerilatedContext>();
    context->commandArgs(argc, argv);
    std::vector<std::string> arguments;
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '+') arguments.emplace_back(argv[i]);
    if (arguments.size() < 5) fail("usage: rocket IMAGE BYTES LATENCY TOHOST HART:PC:MODE...");
    const auto number = [&](size_t i) { return std::strtoull(arguments[i].c_str(), nullptr, 0); };
    latency = number(2);
    tohost = number(3);
    for (size_t i = 4; i < arguments.size(); i++) {
        int hart, mode;
        unsigned long long pc;
        if (std::sscanf(arguments[i].c_str(), "%d:%llx:%d", &hart, &pc, &mode) != 3)
            fail(arguments[i] + ": want HART:PC:MODE");
        harts[hart] = {pc, mode, false};
        missing++;
    }
    Verilated::threadContextp(context.get());
    allocate(number(1));
    load(arguments[0]);

    const auto top = std::make_unique<Vharness>(context.get());
    top->clock = 0;
    for (uint64_t cycle = 0; missing && !ended; cycle++) {
        top->reset = cycle < RESET_CYCLES;
        top->clock = 1;
        top->eval();
        top->clock = 0;
        top->eval();
    }
    top->final();
    return missing == 0 ? 0 : 3;
}

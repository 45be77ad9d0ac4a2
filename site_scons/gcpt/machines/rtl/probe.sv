// Shows the registers of a hart just before its first restored instruction; bound into each RocketTile.

import "DPI-C" function longint unsigned hart_pc(input int hart);
import "DPI-C" function int hart_mode(input int hart);
import "DPI-C" function void hart_arrived(input int hart);

`define SHOW(NAME, VALUE) $display("%0d %s %h", hart, NAME, VALUE);

module probe (
    input logic clock,
    input logic reset
);
    localparam PC = 40;  // bits of a pc
    localparam [63:0] RESTORER = 64'h8000_0000;

    logic started, arrived, complete;
    logic [63:0] start, cycle, instructions;
    logic [31:0] outstanding;  // registers whose load was on its way at the first instruction
    logic [63:0] x[32];
    int hart;

    logic [63:0] mtimecmp;

    assign hart = int'(core.csr.io_hartid);

    always_comb
        case (hart)
`ifdef FOUR_HARTS
            1: mtimecmp = harness.dut.clint.timecmp_1;
            2: mtimecmp = harness.dut.clint.timecmp_2;
            3: mtimecmp = harness.dut.clint.timecmp_3;
`endif
            default: mtimecmp = harness.dut.clint.timecmp_0;
        endcase

    function automatic logic [63:0] x_now(input int i);
        return core.rf[31-i];
    endfunction

    always_ff @(posedge clock) begin
        cycle <= cycle + 1;
        if (reset) begin
            cycle <= 0;
            instructions <= 0;
            started <= 0;
            arrived <= 0;
            complete <= 0;
        end else if (core.csr.io_trace_0_valid) begin
            if (!started && core.csr.io_trace_0_iaddr == PC'(RESTORER)) begin
                started <= 1;
                start <= cycle;
                instructions <= 1;
            end else if (!core.csr.io_trace_0_exception) instructions <= instructions + 1;
        end
        if (!reset && started && !arrived && core.csr.io_trace_0_valid
            && core.csr.io_trace_0_iaddr == PC'(hart_pc(hart))
            && int'(core.csr.reg_mstatus_prv) == hart_mode(hart)) begin
            arrived <= 1;
            outstanding <= core._r;
            for (int i = 1; i < 32; i++) x[i] <= x_now(i);
            `SHOW("cycles", cycle - start)
            `SHOW("instructions", instructions)
            `SHOW("pc", {{64 - PC{core.csr.io_trace_0_iaddr[PC-1]}}, core.csr.io_trace_0_iaddr})
            `SHOW("privilege", core.csr.reg_mstatus_prv)
            for (int i = 0; i < 32; i++) $display("%0d f%0d %h", hart, i, fpuOpt.regfile[i]);
            `SHOW("mtime", harness.dut.clint.time_)
            `SHOW("mtimecmp", mtimecmp)
            `SHOW("mstatus", core.csr.read_mstatus)
            `SHOW("misa", core.csr.reg_misa)
            `SHOW("medeleg", core.csr.read_medeleg)
            `SHOW("mideleg", core.csr.read_mideleg)
            `SHOW("mie", core.csr.reg_mie)
            `SHOW("mip", core.csr.read_mip)
            `SHOW("mtvec", core.csr.read_mtvec)
            `SHOW("mcounteren", core.csr.read_mcounteren)
            `SHOW("mcountinhibit", core.csr.reg_mcountinhibit)
            `SHOW("mscratch", core.csr.reg_mscratch)
            `SHOW("mepc", core.csr._T_34)
            `SHOW("mcause", core.csr.reg_mcause)
            `SHOW("mtval", core.csr._T_38)
            `SHOW("sie", core.csr.read_sie)
            `SHOW("sip", core.csr.read_sip)
            `SHOW("stvec", core.csr.read_stvec)
            `SHOW("scounteren", core.csr.read_scounteren)
            `SHOW("sscratch", core.csr.reg_sscratch)
            `SHOW("sepc", core.csr._T_64)
            `SHOW("scause", core.csr.reg_scause)
            `SHOW("stval", core.csr._T_54)
            `SHOW("satp", core.csr._T_55)
            `SHOW("fflags", core.csr.reg_fflags)
            `SHOW("frm", core.csr.reg_frm)
            `SHOW("fcsr", core.csr.read_fcsr)
            `SHOW("mcycle", core.csr.value_1)
            `SHOW("minstret", core.csr.value)
            `SHOW("tdata1", core.csr._T_20)
            `SHOW("tdata2", core.csr._T_24)
            `SHOW("pmpcfg0", core.csr._T_73)
            `SHOW("pmpaddr0", core.csr.reg_pmp_0_addr)
            `SHOW("pmpaddr1", core.csr.reg_pmp_1_addr)
            `SHOW("pmpaddr2", core.csr.reg_pmp_2_addr)
            `SHOW("pmpaddr3", core.csr.reg_pmp_3_addr)
            `SHOW("pmpaddr4", core.csr.reg_pmp_4_addr)
            `SHOW("pmpaddr5", core.csr.reg_pmp_5_addr)
            `SHOW("pmpaddr6", core.csr.reg_pmp_6_addr)
            `SHOW("pmpaddr7", core.csr.reg_pmp_7_addr)
        end
        if (arrived && !complete) begin
            // No later instruction writes a register while a load to it is on its way.
            for (int i = 1; i < 32; i++) if (outstanding[i]) x[i] <= x_now(i);
            outstanding <= outstanding & core._r;
            if (outstanding == 0) begin
                complete <= 1;
                for (int i = 1; i < 32; i++) $display("%0d x%0d %h", hart, i, x[i]);
                hart_arrived(hart);
            end
        end
    end
endmodule

bind RocketTile probe probe (.clock, .reset);

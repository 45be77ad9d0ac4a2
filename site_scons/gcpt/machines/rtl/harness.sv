// Rocket with memory behind its AXI ports, and HTIF through its coherent front bus.

import "DPI-C" function longint unsigned tohost_address();
import "DPI-C" function void tohost_written(input longint unsigned value);

module harness (
    input logic clock,
    input logic reset
);
    localparam HTIF_PERIOD = 500;  // cycles between two looks at tohost
    localparam MEMORY_WIDTH = 128;  // bits

    // Memory
    logic mem_aw_ready, mem_aw_valid, mem_w_ready, mem_w_valid, mem_w_last, mem_b_ready, mem_b_valid;
    logic mem_ar_ready, mem_ar_valid, mem_r_ready, mem_r_valid, mem_r_last;
    logic [3:0] mem_aw_id, mem_b_id, mem_ar_id, mem_r_id;
    logic [31:0] mem_aw_addr, mem_ar_addr;
    logic [7:0] mem_ar_len;
    logic [1:0] mem_b_resp, mem_r_resp;
    logic [MEMORY_WIDTH-1:0] mem_w_data, mem_r_data;
    logic [MEMORY_WIDTH/8-1:0] mem_w_strb;

    axi_memory #(.ADDRESS(32), .DATA(MEMORY_WIDTH)) memory (
        .clock, .reset,
        .aw_ready(mem_aw_ready), .aw_valid(mem_aw_valid), .aw_id(mem_aw_id), .aw_addr(mem_aw_addr),
        .w_ready(mem_w_ready), .w_valid(mem_w_valid), .w_data(mem_w_data), .w_strb(mem_w_strb), .w_last(mem_w_last),
        .b_ready(mem_b_ready), .b_valid(mem_b_valid), .b_id(mem_b_id), .b_resp(mem_b_resp),
        .ar_ready(mem_ar_ready), .ar_valid(mem_ar_valid), .ar_id(mem_ar_id), .ar_addr(mem_ar_addr), .ar_len(mem_ar_len),
        .r_ready(mem_r_ready), .r_valid(mem_r_valid), .r_id(mem_r_id), .r_data(mem_r_data), .r_resp(mem_r_resp),
        .r_last(mem_r_last)
    );

    // Devices: only the ROM that the boot ROM jumps to
    logic mmio_aw_ready, mmio_aw_valid, mmio_w_ready, mmio_w_valid, mmio_w_last, mmio_b_ready, mmio_b_valid;
    logic mmio_ar_ready, mmio_ar_valid, mmio_r_ready, mmio_r_valid, mmio_r_last;
    logic [3:0] mmio_aw_id, mmio_b_id, mmio_ar_id, mmio_r_id;
    logic [30:0] mmio_aw_addr, mmio_ar_addr;
    logic [7:0] mmio_ar_len;
    logic [1:0] mmio_b_resp, mmio_r_resp;
    logic [63:0] mmio_w_data, mmio_r_data;
    logic [7:0] mmio_w_strb;

    axi_memory #(.ADDRESS(31), .DATA(64)) devices (
        .clock, .reset,
        .aw_ready(mmio_aw_ready), .aw_valid(mmio_aw_valid), .aw_id(mmio_aw_id), .aw_addr(mmio_aw_addr),
        .w_ready(mmio_w_ready), .w_valid(mmio_w_valid), .w_data(mmio_w_data), .w_strb(mmio_w_strb),
        .w_last(mmio_w_last),
        .b_ready(mmio_b_ready), .b_valid(mmio_b_valid), .b_id(mmio_b_id), .b_resp(mmio_b_resp),
        .ar_ready(mmio_ar_ready), .ar_valid(mmio_ar_valid), .ar_id(mmio_ar_id), .ar_addr(mmio_ar_addr),
        .ar_len(mmio_ar_len),
        .r_ready(mmio_r_ready), .r_valid(mmio_r_valid), .r_id(mmio_r_id), .r_data(mmio_r_data),
        .r_resp(mmio_r_resp), .r_last(mmio_r_last)
    );

    // HTIF: a coherent read of tohost now and then; a command is taken by a write of 0.
    logic [63:0] tohost;
    logic front_aw_ready, front_w_ready, front_b_valid, front_ar_ready, front_r_valid;
    logic front_aw_valid, front_w_valid, front_ar_valid;
    logic [63:0] front_r_data;
    logic reading, writing;
    int pause;

    assign tohost = tohost_address();

    always_ff @(posedge clock) begin
        if (reset) begin
            {front_aw_valid, front_w_valid, front_ar_valid, reading, writing} <= 0;
            pause <= HTIF_PERIOD;
        end else begin
            if (front_ar_valid && front_ar_ready) front_ar_valid <= 0;
            if (front_aw_valid && front_aw_ready) front_aw_valid <= 0;
            if (front_w_valid && front_w_ready) front_w_valid <= 0;
            if (pause > 0) pause <= pause - 1;
            else if (tohost != 0 && !reading && !writing) begin
                front_ar_valid <= 1;
                reading <= 1;
            end
            if (reading && front_r_valid) begin
                reading <= 0;
                pause <= HTIF_PERIOD;
                if (front_r_data != 0) begin
                    tohost_written(front_r_data);
                    front_aw_valid <= 1;
                    front_w_valid <= 1;
                    writing <= 1;
                end
            end
            if (writing && front_b_valid) begin
                writing <= 0;
                pause <= 0;
            end
        end
    end

    ExampleRocketSystem dut (
        .clock, .reset,
        .mem_axi4_0_aw_ready(mem_aw_ready), .mem_axi4_0_aw_valid(mem_aw_valid), .mem_axi4_0_aw_bits_id(mem_aw_id),
        .mem_axi4_0_aw_bits_addr(mem_aw_addr), .mem_axi4_0_aw_bits_len(), .mem_axi4_0_aw_bits_size(),
        .mem_axi4_0_aw_bits_burst(), .mem_axi4_0_aw_bits_lock(), .mem_axi4_0_aw_bits_cache(),
        .mem_axi4_0_aw_bits_prot(), .mem_axi4_0_aw_bits_qos(),
        .mem_axi4_0_w_ready(mem_w_ready), .mem_axi4_0_w_valid(mem_w_valid), .mem_axi4_0_w_bits_data(mem_w_data),
        .mem_axi4_0_w_bits_strb(mem_w_strb), .mem_axi4_0_w_bits_last(mem_w_last),
        .mem_axi4_0_b_ready(mem_b_ready), .mem_axi4_0_b_valid(mem_b_valid), .mem_axi4_0_b_bits_id(mem_b_id),
        .mem_axi4_0_b_bits_resp(mem_b_resp),
        .mem_axi4_0_ar_ready(mem_ar_ready), .mem_axi4_0_ar_valid(mem_ar_valid), .mem_axi4_0_ar_bits_id(mem_ar_id),
        .mem_axi4_0_ar_bits_addr(mem_ar_addr), .mem_axi4_0_ar_bits_len(mem_ar_len), .mem_axi4_0_ar_bits_size(),
        .mem_axi4_0_ar_bits_burst(), .mem_axi4_0_ar_bits_lock(), .mem_axi4_0_ar_bits_cache(),
        .mem_axi4_0_ar_bits_prot(), .mem_axi4_0_ar_bits_qos(),
        .mem_axi4_0_r_ready(mem_r_ready), .mem_axi4_0_r_valid(mem_r_valid), .mem_axi4_0_r_bits_id(mem_r_id),
        .mem_axi4_0_r_bits_data(mem_r_data), .mem_axi4_0_r_bits_resp(mem_r_resp), .mem_axi4_0_r_bits_last(mem_r_last),
        .mmio_axi4_0_aw_ready(mmio_aw_ready), .mmio_axi4_0_aw_valid(mmio_aw_valid),
        .mmio_axi4_0_aw_bits_id(mmio_aw_id), .mmio_axi4_0_aw_bits_addr(mmio_aw_addr), .mmio_axi4_0_aw_bits_len(),
        .mmio_axi4_0_aw_bits_size(), .mmio_axi4_0_aw_bits_burst(), .mmio_axi4_0_aw_bits_lock(),
        .mmio_axi4_0_aw_bits_cache(), .mmio_axi4_0_aw_bits_prot(), .mmio_axi4_0_aw_bits_qos(),
        .mmio_axi4_0_w_ready(mmio_w_ready), .mmio_axi4_0_w_valid(mmio_w_valid), .mmio_axi4_0_w_bits_data(mmio_w_data),
        .mmio_axi4_0_w_bits_strb(mmio_w_strb), .mmio_axi4_0_w_bits_last(mmio_w_last),
        .mmio_axi4_0_b_ready(mmio_b_ready), .mmio_axi4_0_b_valid(mmio_b_valid), .mmio_axi4_0_b_bits_id(mmio_b_id),
        .mmio_axi4_0_b_bits_resp(mmio_b_resp),
        .mmio_axi4_0_ar_ready(mmio_ar_ready), .mmio_axi4_0_ar_valid(mmio_ar_valid),
        .mmio_axi4_0_ar_bits_id(mmio_ar_id), .mmio_axi4_0_ar_bits_addr(mmio_ar_addr),
        .mmio_axi4_0_ar_bits_len(mmio_ar_len), .mmio_axi4_0_ar_bits_size(), .mmio_axi4_0_ar_bits_burst(),
        .mmio_axi4_0_ar_bits_lock(), .mmio_axi4_0_ar_bits_cache(), .mmio_axi4_0_ar_bits_prot(),
        .mmio_axi4_0_ar_bits_qos(),
        .mmio_axi4_0_r_ready(mmio_r_ready), .mmio_axi4_0_r_valid(mmio_r_valid), .mmio_axi4_0_r_bits_id(mmio_r_id),
        .mmio_axi4_0_r_bits_data(mmio_r_data), .mmio_axi4_0_r_bits_resp(mmio_r_resp),
        .mmio_axi4_0_r_bits_last(mmio_r_last),
        .l2_frontend_bus_axi4_0_aw_ready(front_aw_ready), .l2_frontend_bus_axi4_0_aw_valid(front_aw_valid),
        .l2_frontend_bus_axi4_0_aw_bits_id(8'd0), .l2_frontend_bus_axi4_0_aw_bits_addr(tohost[31:0]),
        .l2_frontend_bus_axi4_0_aw_bits_len(8'd0), .l2_frontend_bus_axi4_0_aw_bits_size(3'd3),
        .l2_frontend_bus_axi4_0_aw_bits_burst(2'd1), .l2_frontend_bus_axi4_0_aw_bits_lock(1'd0),
        .l2_frontend_bus_axi4_0_aw_bits_cache(4'd0), .l2_frontend_bus_axi4_0_aw_bits_prot(3'd0),
        .l2_frontend_bus_axi4_0_aw_bits_qos(4'd0),
        .l2_frontend_bus_axi4_0_w_ready(front_w_ready), .l2_frontend_bus_axi4_0_w_valid(front_w_valid),
        .l2_frontend_bus_axi4_0_w_bits_data(64'd0), .l2_frontend_bus_axi4_0_w_bits_strb(8'hff),
        .l2_frontend_bus_axi4_0_w_bits_last(1'd1),
        .l2_frontend_bus_axi4_0_b_ready(1'd1), .l2_frontend_bus_axi4_0_b_valid(front_b_valid),
        .l2_frontend_bus_axi4_0_b_bits_id(), .l2_frontend_bus_axi4_0_b_bits_resp(),
        .l2_frontend_bus_axi4_0_ar_ready(front_ar_ready), .l2_frontend_bus_axi4_0_ar_valid(front_ar_valid),
        .l2_frontend_bus_axi4_0_ar_bits_id(8'd0), .l2_frontend_bus_axi4_0_ar_bits_addr(tohost[31:0]),
        .l2_frontend_bus_axi4_0_ar_bits_len(8'd0), .l2_frontend_bus_axi4_0_ar_bits_size(3'd3),
        .l2_frontend_bus_axi4_0_ar_bits_burst(2'd1), .l2_frontend_bus_axi4_0_ar_bits_lock(1'd0),
        .l2_frontend_bus_axi4_0_ar_bits_cache(4'd0), .l2_frontend_bus_axi4_0_ar_bits_prot(3'd0),
        .l2_frontend_bus_axi4_0_ar_bits_qos(4'd0),
        .l2_frontend_bus_axi4_0_r_ready(1'd1), .l2_frontend_bus_axi4_0_r_valid(front_r_valid),
        .l2_frontend_bus_axi4_0_r_bits_id(), .l2_frontend_bus_axi4_0_r_bits_data(front_r_data),
        .l2_frontend_bus_axi4_0_r_bits_resp(), .l2_frontend_bus_axi4_0_r_bits_last(),
        .resetctrl_hartIsInReset_0(reset),
`ifdef FOUR_HARTS
        .resetctrl_hartIsInReset_1(reset), .resetctrl_hartIsInReset_2(reset), .resetctrl_hartIsInReset_3(reset),
`endif
        // The debug module runs on its own clocks: without them it requests interrupts at random.
        .debug_clock(clock), .debug_reset(reset),
        .debug_clockeddmi_dmi_req_ready(), .debug_clockeddmi_dmi_req_valid(1'd0),
        .debug_clockeddmi_dmi_req_bits_addr(7'd0), .debug_clockeddmi_dmi_req_bits_data(32'd0),
        .debug_clockeddmi_dmi_req_bits_op(2'd0), .debug_clockeddmi_dmi_resp_ready(1'd1),
        .debug_clockeddmi_dmi_resp_valid(), .debug_clockeddmi_dmi_resp_bits_data(),
        .debug_clockeddmi_dmi_resp_bits_resp(), .debug_clockeddmi_dmiClock(clock),
        .debug_clockeddmi_dmiReset(reset), .debug_ndreset(), .debug_dmactive(), .debug_dmactiveAck(1'd1),
        .interrupts(8'd0)
    );
endmodule

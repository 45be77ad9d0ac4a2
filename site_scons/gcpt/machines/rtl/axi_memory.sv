// An AXI4 subordinate in front of the address space in main.cpp. One read and one write burst at a time.

import "DPI-C" function longint unsigned memory_read(input longint unsigned address);
import "DPI-C" function void memory_write(
    input longint unsigned address, input longint unsigned data, input byte unsigned strobe
);
import "DPI-C" function int memory_present(input longint unsigned address);
import "DPI-C" function int memory_latency();

module axi_memory #(
    parameter ADDRESS = 32,  // bits of an address
    parameter DATA = 64      // bits of a beat, a multiple of 64
) (
    input logic clock,
    input logic reset,
    output logic aw_ready,
    input logic aw_valid,
    input logic [3:0] aw_id,
    input logic [ADDRESS-1:0] aw_addr,
    output logic w_ready,
    input logic w_valid,
    input logic [DATA-1:0] w_data,
    input logic [DATA/8-1:0] w_strb,
    input logic w_last,
    input logic b_ready,
    output logic b_valid,
    output logic [3:0] b_id,
    output logic [1:0] b_resp,
    output logic ar_ready,
    input logic ar_valid,
    input logic [3:0] ar_id,
    input logic [ADDRESS-1:0] ar_addr,
    input logic [7:0] ar_len,
    input logic r_ready,
    output logic r_valid,
    output logic [3:0] r_id,
    output logic [DATA-1:0] r_data,
    output logic [1:0] r_resp,
    output logic r_last
);
    localparam BYTES = DATA / 8;

    logic writing, reading;
    logic [ADDRESS-1:0] write_address, read_address;
    logic [7:0] beats;
    int wait_read;

    function automatic logic [1:0] response(input logic [ADDRESS-1:0] address);
        return memory_present(64'(address)) != 0 ? 2'b00 : 2'b11;  // OKAY, DECERR
    endfunction

    // A burst increments by the width of the bus: Rocket sends whole cache blocks, or one beat.
    function automatic logic [ADDRESS-1:0] beat(input logic [ADDRESS-1:0] address);
        return address & ~ADDRESS'(BYTES - 1);
    endfunction

    assign aw_ready = !writing && !b_valid;
    assign w_ready = writing;
    assign ar_ready = !reading && !r_valid;

    always_ff @(posedge clock) begin
        if (reset) begin
            writing <= 0;
            reading <= 0;
            b_valid <= 0;
            r_valid <= 0;
            wait_read <= 0;
        end else begin
            if (aw_ready && aw_valid) begin
                writing <= 1;
                b_id <= aw_id;
                b_resp <= response(aw_addr);
                write_address <= beat(aw_addr);
            end
            if (w_ready && w_valid) begin
                for (int i = 0; i < BYTES / 8; i++)
                    memory_write(64'(write_address) + 8 * i, w_data[64*i+:64], w_strb[8*i+:8]);
                write_address <= write_address + ADDRESS'(BYTES);
                if (w_last) begin
                    writing <= 0;
                    b_valid <= 1;
                end
            end
            if (b_valid && b_ready) b_valid <= 0;

            if (ar_ready && ar_valid) begin
                reading <= 1;
                r_id <= ar_id;
                r_resp <= response(ar_addr);
                read_address <= beat(ar_addr);
                beats <= ar_len;
                wait_read <= memory_latency();
            end
            if (reading && wait_read > 0) wait_read <= wait_read - 1;
            if (reading && wait_read == 0 && (!r_valid || r_ready)) begin
                for (int i = 0; i < BYTES / 8; i++)
                    r_data[64*i+:64] <= memory_read(64'(read_address) + 8 * i);
                r_valid <= 1;
                r_last <= beats == 0;
                read_address <= read_address + ADDRESS'(BYTES);
                beats <= beats - 1;
                if (beats == 0) reading <= 0;
            end else if (r_valid && r_ready) r_valid <= 0;
        end
    end
endmodule

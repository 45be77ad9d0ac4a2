/* Bits and numbers of the privileged architecture, for assembly. */
#ifndef GCPT_MACROS_H
#define GCPT_MACROS_H

#include "gcpt_config.h"

#define CAUSE_ILLEGAL   2
#define MSTATUS_MIE     0x8
#define MSTATUS_SIE     0x2
#define MSTATUS_MPIE    0x80
#define MSTATUS_MPP     0x1800
#define MSTATUS_VS      0x600
#define MSTATUS_FS      0x6000
#define MSTATUS_MPRV    0x20000
#define MNSTATUS_NMIE   0x8
#define MNSTATUS_MNPP   0x1800
#define MNRET           0x70200073
/* Distances of the constants in trap.inc from gcpt_trap. */
#define TRAP_COMPLETE_FLAG      -32
#define TRAP_CHECKPOINT_MAGIC   -24
#define TRAP_UNITS_ON           -16
#define TRAP_PMP_LOCKS          -8

#define MIP_MSIP        0x8
#define MIP_MTIP        0x80
#define MIP_VSTIP       0x40

#endif

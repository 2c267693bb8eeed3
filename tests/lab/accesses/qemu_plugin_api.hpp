// SPDX-License-Identifier: BSD-3-Clause
// What accesses.cpp needs of QEMU's interface for TCG plugins, version 1 (documented in QEMU's "QEMU TCG Plugins"). The
// functions are exported by qemu-system-x86_64; Debian 12 packages no header for them.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

struct qemu_info_t;         // NOLINT: names are QEMU's
struct qemu_plugin_tb;      // a block of instructions that is being translated
struct qemu_plugin_insn;    // one of them
struct qemu_plugin_hwaddr;  // where in the machine an access went

enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS = 0 };
enum qemu_plugin_mem_rw { QEMU_PLUGIN_MEM_RW = 3 };

using qemu_plugin_tb_callback = void (*)(std::uint64_t plugin, qemu_plugin_tb* block);
using qemu_plugin_mem_callback = void (*)(unsigned vcpu, std::uint32_t access, std::uint64_t address, void* argument);

void qemu_plugin_register_vcpu_tb_trans_cb(std::uint64_t plugin, qemu_plugin_tb_callback callback);
void qemu_plugin_register_vcpu_mem_cb(qemu_plugin_insn* instruction, qemu_plugin_mem_callback callback,
                                      qemu_plugin_cb_flags flags, qemu_plugin_mem_rw which, void* argument);
std::size_t qemu_plugin_tb_n_insns(const qemu_plugin_tb* block);
qemu_plugin_insn* qemu_plugin_tb_get_insn(const qemu_plugin_tb* block, std::size_t index);
std::uint64_t qemu_plugin_insn_vaddr(const qemu_plugin_insn* instruction);
bool qemu_plugin_mem_is_store(std::uint32_t access);
/// Null where there is no such address; good until the callback returns.
qemu_plugin_hwaddr* qemu_plugin_get_hwaddr(std::uint32_t access, std::uint64_t address);
bool qemu_plugin_hwaddr_is_io(const qemu_plugin_hwaddr* place);
std::uint64_t qemu_plugin_hwaddr_phys_addr(const qemu_plugin_hwaddr* place);

/// What QEMU looks for in a plugin.
extern __attribute__((visibility("default"))) int qemu_plugin_version;
__attribute__((visibility("default"))) int qemu_plugin_install(std::uint64_t plugin, const qemu_info_t* machine,
                                                               int argc, char** argv);
}

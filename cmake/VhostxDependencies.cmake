# What vhostx stands on. Of DPDK: EAL, mempool and mbuf, each by name, because `pkg-config --libs libdpdk` names every
# library that DPDK has.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
pkg_check_modules(DPDK REQUIRED libdpdk>=22.11)

# The binary interface of that DPDK, which the names of its libraries end with: 23 is 22.11's, 25 that of 24.11, and of
# 25.03 and 25.07, which keep it.
string(REGEX MATCH "^([0-9]+)\\.([0-9]+)" dpdk_release "${DPDK_VERSION}")
set(VHOSTX_DPDK_RELEASE ${dpdk_release})
set(VHOSTX_DPDK_ABI ${CMAKE_MATCH_1})
if(CMAKE_MATCH_2 EQUAL 11)
  math(EXPR VHOSTX_DPDK_ABI "${CMAKE_MATCH_1} + 1")
endif()

add_library(vhostx_dpdk INTERFACE)
# System headers: DPDK's inline functions do not pass the warnings that our own code does.
target_include_directories(vhostx_dpdk SYSTEM INTERFACE ${DPDK_INCLUDE_DIRS})
target_compile_options(vhostx_dpdk INTERFACE ${DPDK_CFLAGS_OTHER})
foreach(name IN ITEMS eal mempool mbuf ring)
  find_library(VHOSTX_RTE_${name} rte_${name} HINTS ${DPDK_LIBRARY_DIRS} REQUIRED)
endforeach()
target_link_libraries(vhostx_dpdk INTERFACE ${VHOSTX_RTE_eal} ${VHOSTX_RTE_mempool} ${VHOSTX_RTE_mbuf})

# What logs through DPDK: a library of its own from 23.11 on, a part of EAL before.
add_library(vhostx_dpdk_log INTERFACE)
target_link_libraries(vhostx_dpdk_log INTERFACE vhostx_dpdk)
find_library(VHOSTX_RTE_log rte_log HINTS ${DPDK_LIBRARY_DIRS})
if(VHOSTX_RTE_log)
  target_link_libraries(vhostx_dpdk_log INTERFACE ${VHOSTX_RTE_log})
endif()

# libnuma has no pkg-config file in every release.
find_path(VHOSTX_NUMA_INCLUDE numa.h REQUIRED)
find_library(VHOSTX_NUMA numa REQUIRED)
add_library(vhostx_numa_library INTERFACE)
target_include_directories(vhostx_numa_library SYSTEM INTERFACE ${VHOSTX_NUMA_INCLUDE})
target_link_libraries(vhostx_numa_library INTERFACE ${VHOSTX_NUMA})

# fmt, within libvhostx.so: its code is compiled once, by base/. How that is done is told by versions 9 to 11; others
# are header-only.
add_library(vhostx_fmt INTERFACE)
if(fmt_VERSION VERSION_GREATER_EQUAL 9 AND fmt_VERSION VERSION_LESS 12)
  set(VHOSTX_FMT_SOURCE ON)
  target_include_directories(vhostx_fmt SYSTEM INTERFACE $<TARGET_PROPERTY:fmt::fmt,INTERFACE_INCLUDE_DIRECTORIES>)
else()
  target_link_libraries(vhostx_fmt INTERFACE fmt::fmt-header-only)
endif()

# Asio, standalone; its code is compiled once, by protocol/.
find_path(VHOSTX_ASIO_INCLUDE asio.hpp REQUIRED)
add_library(vhostx_asio INTERFACE)
target_include_directories(vhostx_asio SYSTEM INTERFACE ${VHOSTX_ASIO_INCLUDE})
# Asio looks whether a header before it said that there is aligned_alloc(): told here, so that all sources agree on how
# memory is given back.
target_compile_definitions(vhostx_asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED ASIO_SEPARATE_COMPILATION
                                                 ASIO_HAS_STD_ALIGNED_ALLOC=1)
target_link_libraries(vhostx_asio INTERFACE Threads::Threads)

# SPDX-License-Identifier: BSD-3-Clause
# Toolchain of the preset arm64: Debian's cross compiler, the libraries of that folder which tests/platforms/arm64-sysroot makes,
# and qemu-user, under which CTest runs what was built.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

# The same default as the script's.
set(folder $ENV{VHOSTX_PLATFORMS})
if(NOT folder)
  set(folder /var/cache/vhostx)
endif()
file(STRINGS /etc/os-release release REGEX "^VERSION_CODENAME=")
string(REGEX REPLACE "^VERSION_CODENAME=\"?([a-z]*).*" "\\1" release "${release}")
if(NOT release)
  set(release sid)
endif()
set(VHOSTX_ARM64_SYSROOT ${folder}/arm64-${release} CACHE PATH "arm64's libraries and headers")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES VHOSTX_ARM64_SYSROOT)
if(NOT EXISTS ${VHOSTX_ARM64_SYSROOT}/made)
  message(FATAL_ERROR "${VHOSTX_ARM64_SYSROOT} is not there: tests/platforms/arm64-sysroot makes it")
endif()

set(CMAKE_SYSROOT ${VHOSTX_ARM64_SYSROOT})
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_LIBDIR} ${CMAKE_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${CMAKE_SYSROOT}/usr/share/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${CMAKE_SYSROOT})
# qemu-user keeps a note of each page that is mapped: a test that maps terabytes shall fail by itself, and not for want of the
# machine's memory.
set(CMAKE_CROSSCOMPILING_EMULATOR prlimit;--data=6442450944;qemu-aarch64;-L;${CMAKE_SYSROOT})

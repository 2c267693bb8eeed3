# SPDX-License-Identifier: BSD-3-Clause
# Part of `cmake --install`: ${unit}.in with ${bindir}, which is below the prefix unless it is absolute, and ${keeper}.
get_filename_component(prefix "${CMAKE_INSTALL_PREFIX}" ABSOLUTE)
cmake_path(ABSOLUTE_PATH bindir BASE_DIRECTORY "${prefix}" NORMALIZE)
cmake_path(GET unit FILENAME name)
set(installed "${prefix}/lib/systemd/system/${name}")
message(STATUS "Installing: $ENV{DESTDIR}${installed}")
configure_file("${unit}.in" "$ENV{DESTDIR}${installed}" @ONLY FILE_PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
list(APPEND CMAKE_INSTALL_MANIFEST_FILES "${installed}")

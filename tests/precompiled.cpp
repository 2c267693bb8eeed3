// SPDX-License-Identifier: BSD-3-Clause
// A program of nothing but GoogleTest's header, which the tests' programs take precompiled.
int main() { return 0; }

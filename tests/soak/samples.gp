# SPDX-License-Identifier: BSD-3-Clause
# gnuplot -c samples.gp SAMPLES.csv PICTURE.svg: what each switch of a soak had over time.
set terminal svg size 1000,1200 font "sans-serif,12" background rgb "white"
set output ARG2
set datafile separator comma
set datafile missing NaN  # rows of other switches do not break a line
set key outside right top
set grid
set yrange [0:*<1e9]
switches = "sleeping polling lending"
set multiplot layout 5,1
set title "Memory of its own, MiB"
plot for [name in switches] ARG1 using "seconds":(strcol("switch") eq name ? column("anon_kib") / 1024 : NaN) with lines linewidth 2 title name
set title "Descriptors"
plot for [name in switches] ARG1 using "seconds":(strcol("switch") eq name ? column("fds") : NaN) with lines linewidth 2 title name
set title "Mappings"
plot for [name in switches] ARG1 using "seconds":(strcol("switch") eq name ? column("mappings") : NaN) with lines linewidth 2 title name
set title "Mbufs in use"
plot for [name in switches] ARG1 using "seconds":(strcol("switch") eq name ? column("mbufs") : NaN) with lines linewidth 2 title name
set title "Packets from guests, thousands"
set xlabel "seconds"
plot for [name in switches] ARG1 using "seconds":(strcol("switch") eq name ? column("packets") / 1000 : NaN) with lines linewidth 2 title name
unset multiplot

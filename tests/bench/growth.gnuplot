# growth.tsv, as growth.py writes it, to growth.svg
set terminal svg size 900,380 dynamic background rgb "white" font "sans-serif,12"
set output "growth.svg"
set datafile separator "\t"
set logscale x
set format x "10^{%L}"
set xlabel "values"
set grid
set key top left Left reverse
set yrange [0:*]
set offsets 0, 0, graph 0.25, 0
set multiplot layout 1,2
set title "microseconds of a processor for one more"
plot "growth.tsv" using "values":"handle_files" with linespoints title "command, calc-handle on files", \
     "" using "values":"project" with linespoints title "event, calc-project", \
     "" using "values":"get" with linespoints title "query, calc-get", \
     "" using "values":"handle" with linespoints title "command, calc-handle as a pipe", \
     "" using "values":"watch" with linespoints title "line, calc-watch"
set title "milliseconds of a processor for a start"
plot "growth.tsv" using "values":(column("handle_start")/1000) with linespoints title "calc-handle, nothing new", \
     "" using "values":(column("get_start")/1000) with linespoints title "calc-get, one query", \
     "" using "values":(column("watch_start")/1000) with linespoints title "calc-watch, at the last cursor"
unset multiplot

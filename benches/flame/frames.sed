# Folded stacks of perf as they are drawn: the engine's threads from their loop on, without the types
# that functions are made of.
/^executors-[0-9]*;/!d
s/ as [^<>;]*>/>/g
:again
s/\([A-Za-z0-9_}]\)\(::\)\{0,1\}<[^<>;]*>/\1/g
t again
s/<\([^<>;]*\)>/\1/g
s/^\(executors-[0-9]*\);.*;\(stormwire::worker::reactor::Reactor::run\|run\);/\1;Reactor::run;/
s/stormwire::\([a-z_]*::\)*//g
s/<[^;]*_\[i\]/_[i]/g
s/; [^;]*;/;/g
s/_\[i\]//g

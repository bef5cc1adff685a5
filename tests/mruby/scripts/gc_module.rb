p GC.start, GC.disable, GC.disable, GC.enable, GC.enable
p GC.generational_mode == true || GC.generational_mode == false
GC.disable
a = (0...2000).map { |i| "s#{i}" }
GC.enable
3.times { GC.start; a = a.map { |s| s + "." } }
p a[5], a.size, GC.interval_ratio.is_a?(Integer)
def garbage(n) n.times { |i| [i, "x" * 10, {i => i}] } end
garbage(3000)
GC.start
p :ok

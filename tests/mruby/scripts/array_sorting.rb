seed = 42
random = -> { seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648 }
a = Array.new(2000) { random.call % 10_000 }
p a.sort.first(10), a.sort { |x, y| y <=> x }.first(5)
words = a.map { |n| "w#{n % 300}" }
p words.sort.uniq.first(5), words.uniq.size, words.sort_by { |w| [w.size, w] }.first(4)
p a.sort == a.sort_by { |x| x }, a.max, a.min, a.minmax
p a.each_slice(100).map { |s| s.inject(:+) }.max
p a.bsearch { |x| x >= 0 }.class

h = Hash.new { |hash, key| hash[key] = "made #{key}" }
p h[1], h[:x], h, h.size
counts = Hash.new(0)
"the quick brown the lazy the end quick".split(" ").each { |w| counts[w] += 1 }
p counts, counts.default, counts[:none], counts.size
lists = Hash.new { |hash, key| hash[key] = [] }
3000.times { |i| lists[i % 17] << i.to_s }
p lists.size, lists[3].size, lists[16].last, lists.keys.sort
fib = Hash.new { |f, n| f[n] = n < 2 ? n : f[n - 1] + f[n - 2] }
p fib[40]

h = {}
20_000.times { |i| h["key#{i}"] = [i] }
p h.size, h["key777"], h["key19999"], h["none"]
10_000.times { |i| h.delete("key#{i * 2}") }
p h.size, h["key4"], h["key5"], h.first
h.each_pair { |k, v| v << k.size }
p h["key12345"], h.values.inject(0) { |m, v| m + v[0] }
h.keys.each { |k| h[k.to_sym] = 1 if k.size < 6 }
p h.size, h[:key99]
h.clear
p h, h.size

a = []
1000.times { |i| a.insert(a.size / 2, "v#{i}") }
p a.first(3), a.last(3), a[500]
500.times { a.delete_at(a.size / 3) }
p a.size, a[100], a[250]
a.map! { |s| s + "!" }
a.select! { |s| s.size % 2 == 0 }
p a.size, a.first, a.last
a.reverse!
a.rotate!(7)
p a.first, a.last
a.fill("x", 3, 4)
p a[2..8]
a[1, 5] = [1, 2]
p a.first(6), a.size

s = ""
2000.times { |i| s << "item #{i};" }
p s.size, s[0, 20], s[-12, 12]
t = s.dup
s[0, 4] = "ITEM"
s.insert(4, "<>") if s.respond_to?(:insert)
p s[0, 10], t[0, 10]
t.upcase!
p t[0, 12], s.size - t.size
u = t[100, 5000]
t.replace("short")
p u.size, u[0, 10], t
u.slice!(0, 10) if u.respond_to?(:slice!)
u.concat("!", "?") rescue u << "!" << "?"
p u[-2, 2]
b = "x" * 100
100.times { |i| b.setbyte(i, 65 + i % 26) }
p b

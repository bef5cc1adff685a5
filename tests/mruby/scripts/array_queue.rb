q = []
sum = 0
20_000.times do |i|
  q.push([i, "job #{i}"])
  if q.size > 100
    n, name = q.shift
    sum += n + name.size
  end
end
p sum, q.size, q.first, q.last
s = q.dup
q.shift(50)
q << :end
p q.size, s.size, s[0], q[-1]

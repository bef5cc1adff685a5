a = [3, 1, 2]
p a, a.size, a.first, a.last, a.sort, a.reverse, a + [4], a * 2, a - [1], a & [1, 2], a | [9]
p a.include?(2), a.index(2), a.min, a.max, a.inject(:+)
a << 5
a.unshift(0)
p a, a.pop, a.shift, a
p a.push(7, 8, 9), a.slice(1, 3), a[-2], a[1..2], a[10]
a[8] = :far
p a, a.compact, a.delete(:far), a.delete_at(0), a
p [1, [2, [3, [4]]]].flatten, [[1, 2], [3, 4]].transpose

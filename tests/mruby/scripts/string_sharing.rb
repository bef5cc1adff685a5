base = "abcdefghij" * 1000
parts = (0...900).map { |i| base[i * 10, 500] }
p parts.size, parts[5][0, 12], parts.last.size
parts.each_with_index { |s, i| s << i.to_s }
p parts[7][-3, 3], base.size
base[0] = "Z"
p base[0, 3], parts[0][0, 3]
parts.map! { |s| s[10, 20] }
p parts.uniq.size
base = nil
p parts.first, parts.last

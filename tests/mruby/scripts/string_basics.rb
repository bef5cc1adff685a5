s = "Hello, World"
p s.size, s.upcase, s.downcase, s.swapcase, s.capitalize, s.reverse, s[0], s[-1], s[0, 5], s[7..-1]
p s.index("o"), s.rindex("o"), s.include?("World"), s.start_with?("Hell"), s.end_with?("d")
p s + "!", s * 2, s == "Hello, World", s <=> "Help", s.sub("World", "Ruby"), s.gsub("o", "0")
p s.split(", "), "a b  c".split(" "), "a,b,,c".split(","), s.chars.first(3), s.bytes.last(2)
p "  x ".strip, "xx--".chomp("--"), "abc".succ, "az".succ, "abc".ord, "%05d|%-5s|%x|%.3f" % [42, "ab", 255, 3.14159]
p "abc".each_char.map { |c| c.ord }, "line1\nline2".lines, "abc".tr("a-c", "A-C"), "aabb".squeeze

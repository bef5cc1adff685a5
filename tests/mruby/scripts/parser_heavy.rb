code = (0...60).map { |i| "x#{i} = [#{i}, 'str#{i}', {k#{i}: #{i}.0}]; y#{i} = x#{i}.map { |v| v.to_s }" }.join("\n")
eval(code + "\np x59, y7")
eval("p(" + (0...100).map { |i| "(#{i})" }.join(" + ") + ")")
eval("case 50\n" + (0...80).map { |i| "when #{i} then p :c#{i}" }.join("\n") + "\nend")
puts "nested: #{"a#{"b#{"c#{1 + 1}"}"}"}"
h = eval("{" + (0...100).map { |i| "k#{i}: [#{i}, \"v#{i}\"]" }.join(", ") + "}")
p h.size, h[:k77]
text = <<~END
  heredoc #{h[:k1]}
    indented
  %s
END
puts text % "formatted"
p %w[a b c], %i[d e], __LINE__, __method__.inspect, [*1..3, *[4]], {**{a: 1}, b: 2}
a, (b, *c), d = 1, [2, 3, 4], 5
p a, b, c, d
v = if true then :t else :f end
w = while true do break :w end
p v, w, (1 if false), [1, 2, 3].then { |q| q.sum } rescue p $!.class

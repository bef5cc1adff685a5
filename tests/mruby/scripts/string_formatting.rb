500.times { |i| x = format("%d %s %5.2f %08x %+d %e", i, "s" * (i % 7), i / 3.0, i, i, i * 1.5); puts x if i % 100 == 0 }
puts "#{1}#{:a}#{nil}#{[1, nil, "q"]}#{{a: 1}}#{1.0}#{2**40}"
puts "tab\tquote\"\\ \e[0m".inspect, "\u3042\xff".inspect
puts "%s and %p" % ["str", "str"], "%-10s|" % "left", "%c%c" % [72, "i"]
puts 12345678.to_s.reverse.gsub("3", "-"), 255.to_s(2), 255.to_s(16), "ff".to_i(16), "12abc".to_i, "1e3".to_f

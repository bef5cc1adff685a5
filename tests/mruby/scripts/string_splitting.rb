text = (1..800).map { |i| "word#{i % 97} and#{i}" }.join(" ")
words = text.split(" ")
p words.size, words.uniq.size, words[100], words.last
counts = {}
words.each { |w| counts[w] = (counts[w] || 0) + 1 }
p counts.select { |_, n| n > 8 }.keys.sort.first(5)
p text.split("and").size, text.index("word96"), text.count("o") rescue p text.index("word96")
lines = text.split("1").map(&:strip)
p lines.size, lines.map(&:size).max

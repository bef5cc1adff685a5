# Strings from pieces of others: short ones that die, longer ones that grow, some that stay.
random = Sequence.new(5)
words = (0...2000).map { |i| "word#{i}" * (1 + i % 5) }
kept = []
size = 0
Harness.option("strings", 700_000).times do |i|
  a = words[random.below(2000)]
  b = words[random.below(2000)]
  s = "#{a[0, 8]}-#{b[2, 10]}"
  s = s + a if i % 3 == 0
  s.upcase! if i % 7 == 0
  kept << s if i % 32 == 0
  size += s.size
end
pages = []
Harness.option("pages", 300).times do |i|
  page = ""
  1000.times { |k| page << kept[(i * 31 + k) % kept.size] << "\n" }
  pages << page if i % 4 == 0
end
Harness.record([size, kept.size, pages.map(&:size).inject(:+), kept.last].inspect)

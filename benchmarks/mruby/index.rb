# Reads texts of the system's documentation and makes an index of their words.
index = TextIndex.new
File.open(Harness.option("text", "text.txt")) do |file|
  while (piece = file.read(1 << 20))
    index.add(piece)
  end
end
frequent = index.most_frequent(20).map { |word, places| [word, places.size, places[places.size / 2]] }
Harness.record([index.words, index.positions.size, frequent].inspect)

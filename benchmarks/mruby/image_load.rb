# What an image is made of: the document of `json` parsed, and the texts of `index` indexed.
$document = JsonParser.new(File.open(Harness.option("document", "document.json")) { |f| f.read }).value
$index = TextIndex.new
File.open(Harness.option("text", "text.txt")) do |file|
  while (piece = file.read(1 << 20))
    $index.add(piece)
  end
end

# Parses a document of 20 MB, which lives on, changes a part of it, and makes a text of it again.
document = JsonParser.new(File.open(Harness.option("document", "document.json")) { |f| f.read }).value
records = document["records"]
records.each_with_index { |record, i| record["seen"] = [i, "no. #{i}"] if i % 10 == 0 }
text = JsonGenerator.new.put(document).text
sum = 0
i = 0
while i < text.bytesize
  sum = (sum * 31 + text.getbyte(i)) % 1_000_000_007
  i += 997
end
Harness.record([records.size, text.bytesize, sum].inspect)

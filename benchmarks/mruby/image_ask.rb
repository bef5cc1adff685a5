# The first answer from a document and an index, however they came to be in memory.
record = $document["records"][777]
places = $index.positions["License"] || []
Harness.record([record["name"], record["tags"], places.size, places.last].inspect)

# N queens, all solutions: short arrays that are copied.
def place(n, row, columns)
  return 1 if row == n
  found = 0
  n.times do |column|
    i = 0
    i += 1 while i < row && columns[i] != column && (columns[i] - column).abs != row - i
    found += place(n, row + 1, columns + [column]) if i == row
  end
  found
end

Harness.record(place(Harness.option("n", 10), 0, []))

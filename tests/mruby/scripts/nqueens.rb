def queens(n, row = 0, cols = [], out = [])
  return out << cols if row == n
  n.times { |c| queens(n, row + 1, cols + [c], out) if cols.each_with_index.all? { |q, r| q != c && (q - c).abs != row - r } }
  out
end
[4, 5, 6].each { |n| p queens(n).size }
p queens(6).first

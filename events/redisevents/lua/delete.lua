-- Removes the event of a number.
-- KEYS: record, waiting, the lanes. ARGV: the number.
local n = tonumber(ARGV[1])
for i = 3, #KEYS do
  local from = before(KEYS[i], n)
  if from ~= '$' then
    local at, id = sequence(KEYS[i], from == '0' and '-' or '(' .. from)
    if at == n then
      forget(size(call('XRANGE', KEYS[i], id, id)[1][2]))
      call('XDEL', KEYS[i], id)
    end
  end
end
return 1

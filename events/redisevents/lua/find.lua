-- Finds what a topic has from a position on.
-- KEYS: record, waiting, the lanes. ARGV: where it begins, as in a group.
-- Answers for each lane the ID after which it begins, and the last one.
local out = {}
for i = 3, #KEYS do
  local from, to = position(KEYS[i], ARGV[1], tonumber(ARGV[2])), '0-0'
  local last = call('XREVRANGE', KEYS[i], '+', '-', 'COUNT', 1)[1]
  if last then to = last[1] end
  if from == '$' then from = to end
  out[#out + 1] = from
  out[#out + 1] = to
end
return out

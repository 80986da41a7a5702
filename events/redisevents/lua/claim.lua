-- Takes partitions that are nobody's, or whose owner is dead.
-- KEYS: record, waiting, members, parts.
-- ARGV: member, partitions.
-- Answers the token of each, 0 for one that is another's.
local me = ARGV[1]
local now = clock()
local function alive(m) return (tonumber(call('ZSCORE', KEYS[3], m) or 0)) > now end
local out = {}
for i = 2, #ARGV do
  local n = ARGV[i]
  local owner = call('HGET', KEYS[4], 'owner' .. n)
  if alive(me) and (not owner or owner == '' or owner == me or not alive(owner)) then
    call('HSET', KEYS[4], 'owner' .. n, me)
    out[#out + 1] = call('HINCRBY', KEYS[4], 'token' .. n, 1)
  else
    out[#out + 1] = 0
  end
end
return out

-- Gives partitions back, and leaves the group when asked to.
-- KEYS: record, waiting, members, parts, the lanes.
-- ARGV: group, member to remove or '', and for each partition: number, token, number of deliveries never handed out, ID and attempt of each.
local group, leaves = ARGV[1], ARGV[2]
local i = 3
while i <= #ARGV do
  local n, token, unseen = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  i = i + 3
  local mine = call('HGET', KEYS[4], 'token' .. n) == token
  for _ = 1, unseen do
    if mine then redis.pcall('XCLAIM', KEYS[5 + n], group, 'hanse', 0, ARGV[i], 'RETRYCOUNT', ARGV[i + 1] - 1, 'JUSTID') end
    i = i + 2
  end
  if mine then
    call('HSET', KEYS[4], 'owner' .. n, '')
    call('HINCRBY', KEYS[4], 'token' .. n, 1)
  end
end
if leaves ~= '' then call('ZREM', KEYS[3], leaves) end
call('PUBLISH', KEYS[1], 'members')
return 1

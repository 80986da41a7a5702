-- Settles deliveries of a group without an order.
-- KEYS: record, waiting, held, the lanes.
-- ARGV: number of lanes, group, and for each: what, lane, ID, attempt, milliseconds. What is 'ack', 'retry', 'extend' or 'back', which is for one that
-- was fetched and never handed out.
local count, group = tonumber(ARGV[1]), ARGV[2]
local lanes = keys(4, count)
local held = KEYS[3]
local now = clock()
local some = false
for i = 3, #ARGV, 5 do
  local what, lane, id, attempt, ms = ARGV[i], lanes[ARGV[i + 1] + 1], ARGV[i + 2], tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4])
  local name = ARGV[i + 1] .. ':' .. id
  if what == 'ack' then
    call('XACK', lane, group, id)
    call('ZREM', held, name)
  else
    local p = call('XPENDING', lane, group, id, id, 1)[1]
    if p and p[4] == attempt then -- else others have it meanwhile
      if what == 'back' then call('XCLAIM', lane, group, 'hanse', 0, id, 'RETRYCOUNT', attempt - 1, 'JUSTID') end
      call('ZADD', held, 'XX', number(now + ms), name)
      some = some or what ~= 'extend'
    end
  end
end
if some then wake() end
return 1

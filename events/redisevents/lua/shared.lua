-- Fetches for a group without an order.
-- KEYS: record, waiting, due, later, held, the lanes.
-- ARGV: number of lanes, group, how many, AckWait in milliseconds, lane to begin with.
-- Answers the milliseconds until something may be there, or -1, and for each delivery: lane, ID, attempt, fields.
local gone = needs_topic()
if gone then return gone end
local count, group, most, wait, turn = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local lanes = keys(6, count)
local held = KEYS[5]
local now = clock()
local next = mature(KEYS[3], KEYS[4], lanes, now)
local out = {}
-- First what was given back, and what was held for too long.
while #out < most do
  local again = call('ZRANGEBYSCORE', held, '-inf', number(now), 'LIMIT', 0, most - #out)
  if #again == 0 then break end
  for i = 1, #again do
    local lane, id = string.match(again[i], '(%d+):(.+)')
    local key = lanes[lane + 1]
    local e = call('XCLAIM', key, group, 'hanse', 0, id)[1]
    if e then
      local attempt = call('XPENDING', key, group, id, id, 1)[1][4]
      out[#out + 1] = { tonumber(lane), id, attempt, e[2] }
      call('ZADD', held, number(now + wait), again[i])
    else -- it was settled, or is not in the topic any more
      call('XACK', key, group, id)
      call('ZREM', held, again[i])
    end
  end
end
for i = 0, count - 1 do
  if #out >= most then break end
  local lane = (turn + i) % count
  local all = call('XREADGROUP', 'GROUP', group, 'hanse', 'COUNT', most - #out, 'STREAMS', lanes[lane + 1], '>')
  for _, e in ipairs(all and all[1][2] or {}) do
    out[#out + 1] = { lane, e[1], 1, e[2] }
    call('ZADD', held, number(now + wait), lane .. ':' .. e[1])
  end
end
if #out == 0 then hungry() end
local first = call('ZRANGE', held, 0, 0, 'WITHSCORES')
if #first > 0 then next = sooner(next, math.max(0, first[2] - now)) end
return { next, out }

-- Fetches for a subscription without a group.
-- KEYS: record, waiting, due, later, the lanes.
-- ARGV: how many, lane to begin with, and for each lane the ID of the last delivery; '$' is for the last that was stored.
-- Answers the milliseconds until something may be there, or -1, where each lane is, and the deliveries: lane, ID, attempt, fields.
local gone = needs_topic()
if gone then return gone end
local most, turn = tonumber(ARGV[1]), tonumber(ARGV[2])
local count = #ARGV - 2
local lanes = keys(5, count)
local next = mature(KEYS[3], KEYS[4], lanes, clock())
local last, out = {}, {}
for i = 1, count do
  last[i] = ARGV[2 + i]
  if last[i] == '$' then
    last[i] = '0-0'
    local about = redis.pcall('XINFO', 'STREAM', lanes[i])
    for j = 1, #about, 2 do
      if about[j] == 'last-generated-id' then last[i] = about[j + 1] end
    end
  end
end
for i = 0, count - 1 do
  if #out >= most then break end
  local lane = (turn + i) % count
  for _, e in ipairs(call('XRANGE', lanes[lane + 1], '(' .. last[lane + 1], '+', 'COUNT', most - #out)) do
    out[#out + 1] = { lane, e[1], 1, e[2] }
    last[lane + 1] = e[1]
  end
end
if most > 0 and #out == 0 then hungry() end
return { next, last, out }

-- Makes a group of a topic, or finds it.
-- KEYS: record, waiting, group, the lanes.
-- ARGV: number of lanes, group, mode ('ordered' or 'shared'), where it begins ('new', 'all', 'time' or 'sequence'), milliseconds or number.
-- Answers the mode of the group.
local gone = needs_topic()
if gone then return gone end
local count, group, mode, start, value = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local lanes = keys(4, count)
local is = call('HGET', KEYS[3], 'mode')
if is and is ~= mode then return is end

for i = 1, count do
  local made = redis.pcall('XGROUP', 'CREATE', lanes[i], group, position(lanes[i], start, value), 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
end
call('HSET', KEYS[3], 'mode', mode, 'version', 1)
return mode

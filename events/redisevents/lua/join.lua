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

-- sequence returns the number of the first event of a lane that is stored at or after a time, and its ID. What has no number is passed over.
local function sequence(lane, from)
  while true do
    local some = call('XRANGE', lane, from, '+', 'COUNT', 20)
    for i = 1, #some do
      for j = 1, #some[i][2], 2 do
        if some[i][2][j] == 'hanse-sequence' then return tonumber(some[i][2][j + 1]), some[i][1] end
      end
    end
    if #some == 0 then return nil end
    from = '(' .. some[#some][1]
  end
end

-- before returns the ID after which a lane has the events from a number on. Numbers grow with time, so it is found by bisection.
local function before(lane, n)
  local first = call('XRANGE', lane, '-', '+', 'COUNT', 1)[1]
  local last = call('XREVRANGE', lane, '+', '-', 'COUNT', 1)[1]
  if not first then return '0' end
  local low, high = tonumber(string.match(first[1], '%d+')), tonumber(string.match(last[1], '%d+')) + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    local at = sequence(lane, number(middle))
    if at and at < n then low = middle + 1 else high = middle end
  end
  local from = number(math.max(0, low - 1)) -- the number may be among several of one millisecond
  while true do
    local at, id = sequence(lane, from)
    if not at then return '$' end
    if at >= n then
      local earlier = call('XREVRANGE', lane, '(' .. id, '-', 'COUNT', 1)[1]
      return earlier and earlier[1] or '0'
    end
    from = '(' .. id
  end
end

for i = 1, count do
  local at = '$'
  if start == 'all' then
    at = '0'
  elseif start == 'time' then
    at = value > 0 and number(value - 1) .. '-18446744073709551615' or '0'
  elseif start == 'sequence' then
    at = before(lanes[i], value)
  end
  local made = redis.pcall('XGROUP', 'CREATE', lanes[i], group, at, 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
end
call('HSET', KEYS[3], 'mode', mode, 'version', 1)
return mode

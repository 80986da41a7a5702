-- What all scripts begin with. KEYS[1] is the topic's record, and the name of the channel that wakes members; KEYS[2] says that some wait.

local call = redis.call

local function clock()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- number writes a number as Redis reads it.
local function number(n) return string.format('%.0f', n) end

-- size is what an entry counts for in the topic's bytes: its fields, without the number that is added here. What others add by XADD has no
-- such number, and was not counted.
local function size(fields)
  local sum, counted = 0, false
  for i = 1, #fields, 2 do
    if fields[i] == 'hanse-sequence' then
      counted = true
    else
      sum = sum + #fields[i] + #fields[i + 1]
    end
  end
  return counted and sum or 0
end

-- wake wakes the members that wait.
local function wake()
  if call('DEL', KEYS[2]) == 1 then call('PUBLISH', KEYS[1], '') end
end

-- hungry says that somebody waits.
local function hungry()
  if call('EXISTS', KEYS[2]) == 0 then call('SET', KEYS[2], 1) end
end

-- keys returns so many of KEYS, from one on.
local function keys(from, n)
  local all = {}
  for i = 1, n do all[i] = KEYS[from + i - 1] end
  return all
end

-- append adds an event to a lane, and returns its number.
local function append(lane, fields)
  local seq = call('HINCRBY', KEYS[1], 'sequence', 1)
  fields[#fields + 1] = 'hanse-sequence'
  fields[#fields + 1] = number(seq)
  call('XADD', lane, '*', unpack(fields))
  return seq
end

-- forget subtracts what was dropped from the topic's bytes.
local function forget(bytes)
  if bytes > 0 and call('HINCRBY', KEYS[1], 'bytes', number(-bytes)) < 0 then call('HSET', KEYS[1], 'bytes', 0) end
end

-- expire drops what is older than a time from the lanes, at most so many entries, and returns how many more it might have dropped.
local function expire(lanes, before, most)
  local cut = number(before) .. '-0'
  for i = 1, #lanes do
    while most > 0 do
      local old = call('XRANGE', lanes[i], '-', '(' .. cut, 'COUNT', math.min(most, 100))
      if #old == 0 then break end
      local bytes = 0
      for j = 1, #old do bytes = bytes + size(old[j][2]) end
      local last = old[#old][1]
      call('XTRIM', lanes[i], 'MINID', '=', last)
      call('XDEL', lanes[i], last)
      forget(bytes)
      most = most - #old
    end
  end
  return most
end

-- mature appends the events that are due, and returns how long it is until the next one, or -1.
local function mature(due, later, lanes, now)
  local ripe = call('ZRANGEBYSCORE', due, '-inf', number(now), 'LIMIT', 0, 100)
  for i = 1, #ripe do
    local packed = call('HGET', later, ripe[i])
    if packed then
      local e = cmsgpack.unpack(packed)
      append(lanes[e[1] + 1], e[2])
    end
    call('HDEL', later, ripe[i])
    call('ZREM', due, ripe[i])
  end
  if #ripe > 0 then wake() end
  local first = call('ZRANGE', due, 0, 0, 'WITHSCORES')
  if #first == 0 then return -1 end
  return math.max(0, first[2] - now)
end

-- sooner returns the lesser of two waits, of which -1 is none.
local function sooner(a, b)
  if a < 0 then return b end
  if b < 0 then return a end
  return math.min(a, b)
end

local function needs_topic()
  if call('HEXISTS', KEYS[1], 'version') == 0 then return redis.error_reply('HANSEGONE the topic is not there') end
end

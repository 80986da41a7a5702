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

-- position returns the ID after which a lane has what is wanted: 'new', 'all', from a 'time' in milliseconds or from the number 'sequence' on.
local function position(lane, start, value)
  if start == 'all' then return '0' end
  if start == 'time' then return value > 0 and number(value - 1) .. '-18446744073709551615' or '0' end
  if start == 'sequence' then return before(lane, value) end
  return '$'
end

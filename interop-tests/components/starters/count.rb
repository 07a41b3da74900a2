# A bolt over Storm's own adapter: each word with how often it came.
require "./storm"

class Count < Storm::Bolt
  def prepare(_conf, _context)
    @counts = Hash.new(0)
  end

  def process(tuple)
    word = tuple.values[0]
    @counts[word] += 1
    emit([word, @counts[word]], :anchors => [tuple])
    ack(tuple)
  end
end

Count.new.run

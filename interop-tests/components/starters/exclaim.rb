# A bolt over Storm's own adapter: its word with three exclamation marks more.
require "./storm"

class Exclaim < Storm::Bolt
  def process(tuple)
    emit([tuple.values[0] + "!!!"], :anchor => tuple)
    ack(tuple)
  end
end

Exclaim.new.run

# A bolt over Storm's own adapter: the words of a sentence.
require "./storm"

class Split < Storm::Bolt
  def process(tuple)
    tuple.values[0].split(" ").each { |word| emit([word], :anchor => tuple) }
    ack(tuple)
  end
end

Split.new.run

package stormwire.bench;

import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;

/** What spouts emit. */
final class Sources {
    /** One text after another. */
    interface Source extends Serializable {
        /** Once, before anything else. */
        default void open() {
        }

        /** The next text, or null at the end. */
        String next();

        /** How many there are, or 0 where there is no end. */
        default long size() {
            return 0;
        }
    }

    /** One text again and again. */
    record Constant(String text) implements Source {
        @Override
        public String next() {
            return text;
        }
    }

    /** The lines of a file, or their words, again and again. */
    static final class Lines implements Source {
        private final String path;
        private final boolean words;
        private transient String[] texts;
        private transient int position;

        Lines(String path, boolean words) {
            this.path = path;
            this.words = words;
        }

        @Override
        public void open() {
            try {
                List<String> lines = Files.readAllLines(Path.of(path));
                texts = words
                        ? lines.stream().flatMap(line -> List.of(line.split("\\s+")).stream())
                                .toArray(String[]::new)
                        : lines.toArray(new String[0]);
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }

        @Override
        public String next() {
            String text = texts[position];
            position = position + 1 == texts.length ? 0 : position + 1;
            return text;
        }
    }

    /** Five sentences with 32 words in all, in random order. */
    static final class Sentences implements Source {
        private static final String[] SENTENCES = {
            "the ferry leaves the old harbour at seven",
            "nine grey herons stand along the river",
            "rain fell on the tin roof",
            "a letter came from the north coast",
            "she counted every word",
        };
        private final Random random = new Random(1);

        @Override
        public String next() {
            return SENTENCES[random.nextInt(SENTENCES.length)];
        }
    }

    /** So many random texts of 100 characters, then nothing. */
    static final class Strings implements Source {
        private static final int LENGTH = 100;
        private final long size;
        private final Random random = new Random(1);
        private long given;

        Strings(long size) {
            this.size = size;
        }

        @Override
        public String next() {
            if (given == size) {
                return null;
            }
            given++;
            StringBuilder text = new StringBuilder(LENGTH);
            for (int index = 0; index < LENGTH; index++) {
                text.append((char) ('a' + random.nextInt(26)));
            }
            return text.toString();
        }

        @Override
        public long size() {
            return size;
        }
    }

    private Sources() {
    }
}

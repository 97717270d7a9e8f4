import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.Arrays;
import org.apache.kafka.common.utils.Exit;

/** Runs Kafka's own tools in one process, since Java's start is most of the time that each takes: a line of
 * the standard input is a class and its arguments, with tabs between. */
public class Tools {
    public static void main(String[] unused) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        Exit.setExitProcedure((status, message) -> {
            if (status != 0)
                Runtime.getRuntime().halt(status);
            throw new IllegalStateException(message);
        });
        for (String line; (line = lines.readLine()) != null;) {
            String[] words = line.split("\t", -1);
            String[] arguments = Arrays.copyOfRange(words, 1, words.length);
            Class.forName(words[0]).getMethod("main", String[].class).invoke(null, (Object) arguments);
        }
    }
}

import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/**
 * The filters of all subscriptions of an event are looked at together. Fifty of them may each look for twenty texts in a field
 * of 100,000 bytes: reading the payload and folding a field's case is what costs, so both are done once for an event. The
 * conditions of a filter are taken field by field, which changes nothing, since all of them must be met.
 */
export class FiltersOfAnEvent1763600750000 implements Migration {
  readonly name = 'FiltersOfAnEvent1763600750000';
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Which of the filters an event passes, in their order; no filter is passed.
      create function webhooks.passing(filters jsonb[], event text, resource text, changed text[], payload bytea)
        returns boolean[] language plpgsql immutable as $$
      declare
        data jsonb;
        folds jsonb := '{}';
        filter jsonb;
        condition jsonb;
        of_field text;
        field text;
        operator text;
        expected jsonb;
        actual jsonb;
        folded text;
        met boolean;
        passes boolean[] := '{}';
      begin
        foreach filter in array filters loop
          met := true;
          if filter ? resource then
            data := coalesce(data, convert_from(payload, 'UTF8')::jsonb -> 'data');
            for condition in select value from jsonb_array_elements(filter -> resource) order by value ->> 'field' loop
              of_field := condition ->> 'field';
              operator := condition ->> 'operator';
              expected := condition -> 'value';
              if of_field is distinct from field then
                field := of_field;
                actual := coalesce(data -> field, 'null');
                folded := folds ->> field;
              end if;
              if operator = 'contains' and folded is null and jsonb_typeof(actual) = 'string' then
                folded := lower(actual #>> '{}');
                folds := folds || jsonb_build_object(field, folded);
              end if;
              met := coalesce(case
                when operator = 'changed' then
                  case when event like '%.created' or event like '%.deleted' then actual <> 'null' else field = any(changed) end
                when operator = 'null' then (actual = 'null') = (expected = 'true')
                when operator = 'ne' then actual <> expected
                when operator = 'in' then expected @> jsonb_build_array(actual)
                when actual = 'null' then false
                when operator = 'eq' then actual = expected
                when operator = 'contains' and jsonb_typeof(actual) = 'array' then actual @> jsonb_build_array(expected)
                when operator = 'contains' then position(lower(expected #>> '{}') in folded) > 0
                when jsonb_typeof(actual) = 'number' then
                  case operator when 'gt' then (actual)::numeric > (expected)::numeric
                                when 'gte' then (actual)::numeric >= (expected)::numeric
                                when 'lt' then (actual)::numeric < (expected)::numeric
                                when 'lte' then (actual)::numeric <= (expected)::numeric end
                else
                  case operator when 'gt' then actual #>> '{}' collate "C" > expected #>> '{}'
                                when 'gte' then actual #>> '{}' collate "C" >= expected #>> '{}'
                                when 'lt' then actual #>> '{}' collate "C" < expected #>> '{}'
                                when 'lte' then actual #>> '{}' collate "C" <= expected #>> '{}' end
              end, false);
              exit when not met;
            end loop;
          end if;
          passes := passes || met;
        end loop;
        return passes;
      end $$;

      create or replace function webhooks.passes(filter jsonb, event text, resource text, changed text[], payload bytea)
        returns boolean language sql immutable as $$
        select (webhooks.passing(array[filter], event, resource, changed, payload))[1];
      $$;
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
